"""What must happen now and then: one concern, one module, one method on the service."""

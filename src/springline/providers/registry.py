"""The providers that there are."""

from springline.providers.github import github
from springline.providers.stripe import stripe
from springline.providers.vocabulary import Provider

PROVIDERS: dict[str, Provider] = {provider.name: provider for provider in (stripe, github)}

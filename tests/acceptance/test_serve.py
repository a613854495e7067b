"""`springline serve`, as an operator starts and stops it."""

from tests.support.processes import Place, modes_above


async def test_an_empty_directory_is_ready_in_time(place: Place) -> None:
    before = modes_above(place.data_dir)
    server = await (await place.start()).until_ready()
    print(f"\nempty directory to ready: {server.ready_seconds:.2f} s")
    assert server.ready_seconds < 3
    stopped_seconds = await server.terminate()
    print(f"SIGTERM to the end: {stopped_seconds:.2f} s")
    assert stopped_seconds < 5
    assert not server.left()
    assert modes_above(place.data_dir) == before

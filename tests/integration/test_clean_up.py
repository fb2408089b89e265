"""The clean-up after a rebuild deletes nothing that is read, or being built, by anybody."""

from collections.abc import Callable
from threading import Event as Flag
from uuid import uuid4

import pytest

from messaging.bus import current_bus
from messaging.projections.consuming import checkpoints
from messaging.projections.models import Checkpoint, DeadLetter, Rebuild
from messaging.rebuilding import generations, requests
from messaging.rebuilding.builder import Builder
from queries_app.models import Post
from queries_app.projections import posts
from tests.support.consuming import consume_all
from tests.support.fold import assert_read_models_equal_the_fold
from tests.support.modes import Mode
from tests.support.rebuilding import at_step, rebuild, some_posts
from tests.support.relaying import publish_all

POSTS = 6


@pytest.fixture(autouse=True)
def small_chunks(database: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generations, "CHUNK", 2)
    some_posts(POSTS)
    publish_all()
    consume_all(posts)


def builder(asked: Rebuild, held: Callable[[], bool] = lambda: True) -> Builder:
    return Builder(asked, current_bus(), held)


class Sleeper:
    """A builder that sleeps after the first chunk of its clean-up, while `meanwhile` happens."""

    def __init__(self, asked: Rebuild, meanwhile: Callable[[], object]) -> None:
        self._asked = asked
        self._meanwhile = meanwhile
        self.slept = False

    def run(self) -> None:
        builder(self._asked, self._held).run(Flag())

    def _held(self) -> bool:
        """As one that was frozen sees it: the lock was held when it looked last."""
        if not self.slept and Rebuild.objects.get(id=self._asked.id).state == "cleaning up":
            self.slept = True
            self._meanwhile()
        return True


def test_a_builder_that_wakes_after_a_later_switch_deletes_nothing(database: Mode) -> None:
    asked = requests.ask("posts", "log", "test")

    def meanwhile() -> None:
        builder(asked).run(Flag())
        assert Rebuild.objects.get(id=asked.id).state == "done"
        assert rebuild(posts, "log").state == "done"

    sleeper = Sleeper(asked, meanwhile)
    sleeper.run()
    assert sleeper.slept
    assert checkpoints.live_generation("posts") == 3
    assert assert_read_models_equal_the_fold(3) == POSTS
    assert Checkpoint.objects.filter(projection="posts", generation=3).count() == 12


def test_a_builder_that_wakes_while_another_cleans_up_leaves_the_end_to_it(database: Mode) -> None:
    asked = requests.ask("posts", "log", "test")

    def meanwhile() -> None:
        Rebuild.objects.filter(id=asked.id).update(builder=uuid4())

    Sleeper(asked, meanwhile).run()
    assert Rebuild.objects.get(id=asked.id).state == "cleaning up"
    assert Post.objects.filter(generation=1).exists()
    builder(asked).run(Flag())
    assert Rebuild.objects.get(id=asked.id).state == "done"
    assert not Post.objects.exclude(generation=2).exists()


def test_only_the_builder_that_owns_a_rebuild_ends_it(database: Mode) -> None:
    asked = requests.ask("posts", "log", "test")
    with at_step("cleaned up", lambda: Rebuild.objects.update(builder=uuid4())) as step:
        builder(asked).run(Flag())
    assert step.reached
    assert Rebuild.objects.get().state == "cleaning up"


@pytest.mark.parametrize("state", ["asked", "filling", "catching up"])
def test_a_generation_that_is_being_built_is_not_deleted(database: Mode, state: str) -> None:
    asked = requests.ask("posts", "log", "test")
    Rebuild.objects.filter(id=asked.id).update(state=state)
    put_rows_into(asked.generation)
    generations.delete_unread(posts, lambda: None, lambda: None)
    assert counts(asked.generation) == (1, 1, 1)


def test_what_a_cancelled_rebuild_has_built_is_deleted(database: Mode) -> None:
    asked = requests.ask("posts", "log", "test")
    put_rows_into(asked.generation)
    requests.cancel("posts")
    builder(asked).run(Flag())
    assert Rebuild.objects.get(id=asked.id).state == "cancelled"
    assert counts(asked.generation) == (0, 0, 0)
    assert counts(1)[0] == POSTS


def test_a_switch_between_two_chunks_is_seen_by_the_statement_that_deletes(database: Mode) -> None:
    """Even where the fence lets it through."""
    requests.ask("posts", "log", "test")
    put_rows_into(2)

    def switch() -> None:
        Rebuild.objects.update(state="done")
        state = checkpoints.state_of("posts")
        state.live_generation = 2
        state.save()

    generations.delete_unread(posts, switch, lambda: None)
    assert counts(2) == (1, 1, 1)
    assert counts(1)[0] == 0


def put_rows_into(generation: int) -> None:
    row = Post.objects.filter(generation=1).first()
    assert row is not None
    row.pk, row.generation = None, generation
    row.save(force_insert=True)
    Checkpoint.objects.create(projection="posts", generation=generation, partition=0, offset=0)
    DeadLetter.objects.create(projection="posts", generation=generation, partition=0)


def counts(generation: int) -> tuple[int, int, int]:
    tables = (Post, Checkpoint, DeadLetter)
    one, two, three = (t._default_manager.filter(generation=generation).count() for t in tables)
    return one, two, three

"""Faults that visitors met, each as a kind: refusals beside the work, results of another model, names, guards."""

import asyncio
import os
import re

import gradio as gr
import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from sase_gan.markdown import escaped
from sase_gan.ui.checks import UsageError, sentences, without_folders
from sase_gan.ui.class_choice import Known
from sase_gan.ui.events import RESULTS, Action, blank
from sase_gan.ui.fields import looked_at_first
from sase_gan.ui.guards import TRIES, FewTries, Unframed
from sase_gan.ui.models import Models
from sase_gan.ui.one_picture import PictureHandlers
from sase_gan.ui.pictures import Sheet
from sase_gan.ui.studio import _is_undrawn, build_blocks
from sase_gan.ui.sweeping import KEPT_SECONDS, sweep
from sase_gan.ui.trainings import Trainings
from tests.ui.test_handlers import refused


@pytest.fixture(scope="module")
def page(models_folder, tmp_path_factory) -> gr.Blocks:
    return build_blocks(Models([models_folder]), Trainings(tmp_path_factory.mktemp("runs")))


@pytest.mark.parametrize("elem_id", ["model", "picture-model", "recogniser"])
def test_another_model_clears_all_that_was_made_of_the_former(page, elem_id):
    """Whatever an event shows that is given the model, or what is remembered of it, is cleared when it changes."""
    model = next(block for block in page.blocks.values() if getattr(block, "elem_id", None) == elem_id)
    clearing = [e for e in page.fns.values() if e.fn and (model._id, "change") in e.targets and not e.inputs]
    assert len(clearing) == 1
    cleared = set(clearing[0].outputs)
    # What a visitor kept is not of the model that is chosen.
    lasting = {o for e in page.fns.values() if getattr(e.fn, "__name__", "") == "keep" for o in e.outputs}
    assert len(lasting) == 4
    assert not lasting & cleared
    shown = [o for e in page.fns.values() if e.fn and model in e.inputs and e.queue and e.targets for o in e.outputs]
    # Which classes the model has is asked anew after every change, and nothing that was drawn.
    known = {place for place in shown if isinstance(place, gr.State) and isinstance(place.value, Known)}
    anew = [e for e in page.fns.values() if known.intersection(e.outputs) and any(on == "then" for _, on in e.targets)]
    assert not known or len(anew) >= 2  # when the page opens, and behind the change
    assert {place for place in shown if isinstance(place, RESULTS)} <= cleared | known
    remembered = {place for place in cleared if isinstance(place, gr.State)}
    followed = [o for e in page.fns.values() if e.fn and remembered.intersection(e.inputs) for o in e.outputs]
    assert {place for place in followed if isinstance(place, RESULTS)} <= cleared | lasting
    values = clearing[0].fn()
    assert len(values) == len(clearing[0].outputs)
    assert not any(value for value, o in zip(values, clearing[0].outputs, strict=True) if isinstance(o, gr.Gallery))


def test_a_former_model_that_is_remembered_late_keeps_no_picture_from_being_drawn(page):
    """Its cancelled drawing may end after the page was cleared: the new model is drawn all the same."""
    _is_undrawn("new", None)
    _is_undrawn("new", Sheet("former", ()))
    with pytest.raises(gr.Error):
        _is_undrawn("new", Sheet("new", ()))
    # A change asks nothing of the kind: what it clears is drawn anew.
    asked = [event for event in page.fns.values() if event.fn and getattr(event.fn, "__name__", "") == "_is_undrawn"]
    assert len(asked) == 1


def test_a_refusal_stands_in_the_first_text_and_leaves_the_rest_as_it_is():
    @sentences
    def handler(seed: int) -> tuple[str, str]:
        raise UsageError("The seed is -5 and *bad*")

    with gr.Blocks():
        seed, gallery, note = gr.Number(), gr.Gallery(), gr.Markdown("at first")
        plain = Action(handler, [seed], [gallery, note]).on(lambda answer, *unused, **options: answer)
        judge = Action(handler, [seed], [gallery, note], judges=True).on(lambda answer, *unused, **options: answer)
    kept, words = plain(-5)
    assert kept == gr.skip()
    assert words == '<span class="refused" role="alert">The seed is -5 and &#42;bad&#42;.</span>'
    # A judgement on something else does not stay.
    assert not judge(-5)[0]


def test_a_program_gets_an_error_where_the_page_gets_a_sentence(page):
    public = {e.api_name: e for e in page.fns.values() if e.api_visibility == "public" and e.api_name == "sample"}
    assert public["sample"].targets == []
    with refused("The seed is -5; it must be between 0"):
        public["sample"].fn("tiny", -5)


def test_numbers_are_refused_beside_their_field_before_they_wait():
    with gr.Blocks():
        whole, share = gr.Number(label="Frames", precision=0, minimum=2, maximum=9), gr.Number(minimum=0, maximum=1)
        text = gr.Textbox()
    look = looked_at_first([text, whole, share], [], None)
    assert [verdict["is_valid"] for verdict in look("x", 5, 0.5)] == [True, True, True]
    verdicts = look("x", -5, None)
    assert [verdict["is_valid"] for verdict in verdicts] == [True, False, False]
    assert verdicts[1]["message"] == "Frames is -5; it must be between 2 and 9."
    assert looked_at_first([text], [], None) is None

    def too_much(*values: object) -> None:
        raise UsageError("too much")

    verdicts = looked_at_first([text, whole, share], [], too_much)("x", 5, 0.5)
    assert [verdict["message"] for verdict in verdicts] == ["", "Too much.", ""]


def test_a_field_that_another_event_writes_is_refused_where_the_sentence_stays():
    with gr.Blocks():
        whole, share = gr.Number(label="Frames", minimum=2, maximum=9), gr.Number(label="Share", minimum=0, maximum=1)
        look = looked_at_first([whole, share], [], None)
        gr.Button().click(lambda: gr.update(visible=False), [], [whole])
    assert [verdict["is_valid"] for verdict in look(99, 99)] == [True, False]


def test_what_takes_minutes_or_gigabytes_is_foretold_and_refused(models_folder, tmp_path):
    handlers = PictureHandlers(Models([models_folder]), Trainings(tmp_path))
    assert re.fullmatch(r"Takes about \d+ s on .+, and 0\.\d GB\.", handlers.foretell("single", 100, 100, "0-3"))
    with pytest.raises(UsageError, match=r"4 pictures of 1024 × 1024 px would take many minutes .+; draw 1 at once"):
        handlers.check_draw("single", 1024, 1024, "0-3")
    assert "draw 1 at once" in handlers.foretell("single", 1024, 1024, "0-3")


def test_long_work_keeps_no_one_waiting_who_wants_a_picture(page):
    lines = {e.api_name: e.concurrency_id for e in page.fns.values() if e.api_visibility == "public"}
    assert lines["sample"] == lines["neighbours"] == "device"
    assert {lines[name] for name in ("draw_picture", "animate_picture", "paint_picture", "evaluate")} == {"long"}


def test_names_are_read_as_they_are_written():
    assert escaped("17~50.3.2@60.0.12") == "17&#126;50.3.2&#64;60.0.12"
    assert escaped("a_b *c* <i>\n# d") == "a_b &#42;c&#42; &lt;i&gt; # d"
    assert escaped("[x](http://y) _z_") == "&#91;x&#93;(http:&#47;/y) &#95;z&#95;"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/home/me/x.png is no picture", "x.png is no picture"),
        ("/home/Jane Doe/my models/x.png is damaged", "x.png is damaged"),
        (r"C:\Users\Jane Doe\x.png is damaged", "x.png is damaged"),
        ("give 1/2 and/or 3", "give 1/2 and/or 3"),
    ],
)
def test_folders_are_the_owners_business(text, left):
    assert without_folders(text) == left


# --- guards ----------------------------------------------------------------------------------------------------------


def answers(middleware: Middleware, *requests: tuple[str, str, str]) -> list[httpx.Response]:
    """What a server with this guard answers to (address, method, path); the password "right" is."""

    async def login(request):
        return PlainTextResponse("", 200 if (await request.body()) == b"right" else 400)

    app = Starlette(routes=[Route("/login", login, methods=["POST"])], middleware=[middleware])

    async def ask() -> list[httpx.Response]:
        found = []
        for address, password, path in requests:
            transport = httpx.ASGITransport(app, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                found.append(await client.post(path, content=password))
        return found

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:  # leaves gradio's own loop alone
        return runner.run(ask())


def test_after_five_wrong_passwords_an_address_waits_for_a_minute():
    now = [0.0]
    guard = Middleware(FewTries, clock=lambda: now[0])
    wrong, right = ("1.1.1.1", "wrong", "/login"), ("1.1.1.1", "right", "/login")
    found = answers(guard, right, *[wrong] * TRIES, wrong, right, ("2.2.2.2", "right", "/login"))
    assert [answer.status_code for answer in found] == [200, *[400] * TRIES, 429, 429, 200]
    assert "wait a minute" in found[-2].text

    def clock() -> float:
        now[0] += 13
        return now[0]

    # One each thirteen seconds is never refused.
    assert {a.status_code for a in answers(Middleware(FewTries, clock=clock), *[wrong] * 12)} == {400}


def test_no_other_site_may_frame_the_studio():
    answer = answers(Middleware(Unframed), ("1.1.1.1", "right", "/login"))[0]
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert answer.headers["Content-Security-Policy"] == "frame-ancestors 'self'"


def test_temporary_files_go_while_the_studio_runs(tmp_path):
    for name, age in (("old/a", 2 * KEPT_SECONDS), ("old/b", 10), ("gone/c", 2 * KEPT_SECONDS), ("d", 100)):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(10))
        os.utime(path, (1e9 - age, 1e9 - age))
    for folder in ("gone", "old"):
        os.utime(tmp_path / folder, (0, 0))
    sweep(tmp_path, 1e9)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == {"old/b", "d"}
    # And the oldest of what is young, where there is too much.
    sweep(tmp_path, 1e9, most_bytes=10)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["b"]


def test_blanks_are_what_was_there_at_first():
    with gr.Blocks():
        assert blank(gr.Markdown("hello")) == "hello"
        assert blank(gr.Column(visible=False)) == gr.update(visible=False)
        assert blank(gr.State(())) == ()

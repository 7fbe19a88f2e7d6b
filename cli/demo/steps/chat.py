"""Step 2: chat jobs of all tiers, streamed over websockets while Cloudflare fails for some."""

import asyncio
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from cli.demo.answers import Job
from cli.demo.conversation import Conversation
from cli.demo.failure import DemoFailedError, require
from cli.demo.formatting import duration, last_words, one_line, provider_name, share
from cli.demo.questions import QUESTIONS_BY_TIER
from cli.demo.simulator import Simulator
from cli.demo.stage import Stage
from cli.demo.statistics import Summary, summarize

_FAILING_SHARE = 0.3
_CUT_AFTER_CHUNKS = 12
_CUT_TRIES = 3


async def show_chat(stage: Stage) -> None:
    """Ask thirty questions at once, and one whose answer breaks off.

    Raises:
        DemoFailedError: A job failed, or no job fell back though Cloudflare failed.
    """
    asked = [(tier, one) for tier, ten in QUESTIONS_BY_TIER.items() for one in ten]
    stage.screen.step(2, f"{len(asked)} chat jobs of all tiers, streamed over websockets")
    if stage.simulator is not None:
        await stage.simulator.set_cloudflare("no_capacity", probability=_FAILING_SHARE)
        stage.screen.note(f"Cloudflare has no capacity for {_FAILING_SHARE:.0%} of its calls.")
    talks = await asyncio.gather(*(stage.ask(tier, question) for tier, question in asked))
    with stage.screen.live(lambda: _talking(talks, stage.screen.width)):
        completed = await asyncio.gather(*(stage.listen(talk) for talk in talks))
    summary = summarize(completed)
    stage.screen.fact(_sentence(summary))
    if stage.simulator is not None:
        require(summary.fallbacks > 0, "Cloudflare failed, but no job was answered by OpenAI")
        stage.screen.fact(
            f"{summary.fallbacks} fell back to OpenAI; every stream was gapless, "
            "and equal to its result"
        )
        await _show_reset(stage, stage.simulator)


async def _show_reset(stage: Stage, simulator: Simulator) -> None:
    """Break one answer off midway.

    On a slow machine its client may come too late to see it, and after so many failures Cloudflare
    may be let alone just then.
    """
    for _ in range(_CUT_TRIES):
        await simulator.set_cloudflare("cut_stream", after_chunks=_CUT_AFTER_CHUNKS)
        talk = await stage.ask("premium", QUESTIONS_BY_TIER["premium"][0])
        completed = await stage.listen(talk)
        await simulator.set_cloudflare("ok")
        job = await stage.clients["premium"].get(f"/v1/jobs/{talk.job_id}", Job)
        codes = [attempt.error.code for attempt in job.attempts if attempt.error]
        if talk.was_reset and "stream_cut" in codes:
            stage.screen.fact(
                f"A stream cut off after “{one_line(talk.lost_text, 20)}”: job.reset, then all "
                f"of it from {provider_name(completed.provider)}"
            )
            return
    raise DemoFailedError(f"in {_CUT_TRIES} tries, no client was told to start again")


def _talking(talks: Sequence[Conversation], width: int) -> RenderableType:
    """Return one line for the first job of each tier, and how many jobs have ended."""
    first = {talk.tier: talk for talk in reversed(talks)}
    lines = [_line(first[tier], width) for tier in QUESTIONS_BY_TIER]
    ended = sum(talk.completed is not None for talk in talks)
    return Group(*lines, Text(f"{ended} of {len(talks)} answered", style="dim"))


def _line(talk: Conversation, width: int) -> Text:
    done = talk.completed
    who = provider_name(done.provider) if done else "…"
    head = f"{talk.tier:<8}{who:<11}"
    style = "default" if done else "yellow"
    return Text.assemble((head, "cyan"), (last_words(talk.text, width - len(head)), style))


def _sentence(summary: Summary) -> str:
    providers = " · ".join(
        f"{provider_name(name)} {jobs}" for name, jobs in summary.jobs_by_provider.items()
    )
    return (
        f"{summary.jobs} answered: {providers} · fallback "
        f"{share(summary.fallbacks, summary.jobs)} · p50 {duration(summary.p50_ms)} · "
        f"p95 {duration(summary.p95_ms)}"
    )

"""Step 1: who answers, and what that may cost."""

from cli.demo.formatting import usd
from cli.demo.stage import CAP_USD, Stage


async def show_providers(stage: Stage) -> None:
    """Say who answers, after nothing can cost more than the cap any more."""
    await stage.put_budget()
    screen = stage.screen
    screen.step(1, "Who answers")
    if stage.simulator is None:
        screen.fact("The REAL providers, with the credentials of your .env: Cloudflare, OpenAI")
    else:
        await stage.simulator.set_pace()
        screen.fact("The built-in SIMULATOR of Cloudflare and OpenAI, over real HTTP")
        screen.note("No credentials are set: answers are made up, nothing is billed to you.")
    screen.fact(f"A hard limit of {usd(CAP_USD)} for today, set before the first call")

"""Thirty questions that people ask, ten for each tier."""

QUESTIONS_BY_TIER: dict[str, tuple[str, ...]] = {
    "free": (
        "Why is the sky blue at noon and red in the evening?",
        "How do bees find their way back to the hive?",
        "What makes bread rise, and why does it go stale?",
        "Why does the moon always show us the same side?",
        "How did sailors find their longitude before there were satellites?",
        "What is the difference between weather and climate?",
        "Why do cats purr?",
        "How does soap remove grease from a plate?",
        "Why do we have leap years, and why are some of them skipped?",
        "What keeps an aeroplane up in the air?",
    ),
    "paid": (
        "Summarise the plot of Moby-Dick in three sentences.",
        "Explain compound interest to a twelve-year-old.",
        "Which questions should I ask before signing a lease?",
        "Draft a polite reminder for an invoice that is two weeks late.",
        "What were the main causes of the French Revolution?",
        "How would you explain a message queue to a shopkeeper?",
        "Compare the bicycle and the tram for a city of half a million people.",
        "What does a ledger protect a business from?",
        "Give me a checklist for moving house with two children.",
        "Why did the printing press change more than printing?",
    ),
    "premium": (
        "Explain how a lock on a canal lifts a ship, step by step.",
        "What are the trade-offs between at-least-once and exactly-once delivery?",
        "Describe the water cycle as a letter from one raindrop to another.",
        "How does double-entry bookkeeping catch mistakes?",
        "What did Ada Lovelace see in the Analytical Engine that others did not?",
        "Why does a vaccine against measles need so many people to take it?",
        "How do sluice gates keep a mill running through a flood?",
        "Which arguments did Darwin himself raise against his theory?",
        "What is the traveling salesman problem, and why is it hard?",
        "How do tides turn with the moon, and why are there two a day?",
    ),
}

SPENDING = "Tell me about a river, a mill and a gate, and what each is good for."
"""Asked often enough to cross a budget threshold."""

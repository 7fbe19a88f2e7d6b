"""The OpenAI API as the unmodified official SDK expects it (shapes of 2026-11)."""

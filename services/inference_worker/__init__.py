"""Answers chat jobs: claims them, streams a provider's answer, settles what it cost."""

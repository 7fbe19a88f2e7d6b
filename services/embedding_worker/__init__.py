"""Embeds texts: packs them into calls, stores their vectors, settles what they cost."""

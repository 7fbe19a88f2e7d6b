"""Cloudflare Workers AI as its REST API answers (shapes of 2026-11)."""

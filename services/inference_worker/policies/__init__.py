"""Pure decisions of the inference worker."""

"""What use cases need from the world; fakes pass the same contract suites as adapters."""

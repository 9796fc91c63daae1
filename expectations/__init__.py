"""Great Expectations suites, as reviewable JSON, and the few lines that run them."""

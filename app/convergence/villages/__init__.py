"""Where efforts meet: what plans, money and reports bring to each village, and what is missing there."""

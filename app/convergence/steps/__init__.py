"""Where regions stand on the steps of a year: evidence, grades of machine and panel, the score of the process."""

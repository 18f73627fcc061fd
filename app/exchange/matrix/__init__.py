"""The matrix as bytes and as checked lines, pure; `queries` reads a plan as lines, `imports` writes lines into it."""

"""Efforts in villages: lines, money and reports for each village, and the gaps."""

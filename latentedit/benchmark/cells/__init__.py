"""The units of work of a run and what each computes."""

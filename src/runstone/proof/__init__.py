"""Whether the measure measures: faults, the kill matrix and mutants."""

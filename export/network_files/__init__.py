"""Network files: the form that stock netx loads, and what it has no place for."""

"""Reports: one run folder as HTML, Markdown and JSON."""

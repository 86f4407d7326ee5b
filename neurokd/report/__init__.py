"""Reports: one run or artefact as HTML, Markdown and JSON."""

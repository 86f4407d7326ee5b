"""Architecture search by a one-shot supernet: does the architecture matter for a distilled spiking network?"""

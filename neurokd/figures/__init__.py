"""The papers' figures that need the networks themselves: t-SNE, firing rates, Grad-CAM, feature maps."""

"""StyleGAN3: a synthesis network whose layers treat feature maps as samples of continuous signals.

Karras et al., "Alias-free generative adversarial networks", NeurIPS 2021 (arXiv 2106.12423).
"""

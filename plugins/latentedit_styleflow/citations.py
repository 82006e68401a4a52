"""BibTeX entry of the method."""

STYLEFLOW = """@article{abdal2021styleflow,
  title = {{StyleFlow}: Attribute-conditioned Exploration of {StyleGAN}-Generated Images using
           Conditional Continuous Normalizing Flows},
  author = {Abdal, Rameen and Zhu, Peihao and Mitra, Niloy J. and Wonka, Peter},
  journal = {ACM Transactions on Graphics},
  volume = {40},
  number = {3},
  year = {2021}
}"""

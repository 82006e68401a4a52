"""BibTeX entry of the published method."""

LATENT_TRANSFORMER = """@inproceedings{yao2021latent,
  title = {A Latent Transformer for Disentangled Face Editing in Images and Videos},
  author = {Yao, Xu and Newson, Alasdair and Gousseau, Yann and Hellier, Pierre},
  booktitle = {IEEE/CVF International Conference on Computer Vision},
  year = {2021}
}"""

"""BibTeX entries of the methods."""

INTERFACEGAN = """@inproceedings{shen2020interfacegan,
  title = {Interpreting the Latent Space of {GANs} for Semantic Face Editing},
  author = {Shen, Yujun and Gu, Jinjin and Tang, Xiaoou and Zhou, Bolei},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year = {2020}
}"""
GANSPACE = """@inproceedings{harkonen2020ganspace,
  title = {{GANSpace}: Discovering Interpretable {GAN} Controls},
  author = {H{\\"a}rk{\\"o}nen, Erik and Hertzmann, Aaron and Lehtinen, Jaakko and Paris, Sylvain},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2020}
}"""
SEFA = """@inproceedings{shen2021sefa,
  title = {Closed-Form Factorization of Latent Semantics in {GANs}},
  author = {Shen, Yujun and Zhou, Bolei},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year = {2021}
}"""
STYLESPACE = """@inproceedings{wu2021stylespace,
  title = {{StyleSpace} Analysis: Disentangled Controls for {StyleGAN} Image Generation},
  author = {Wu, Zongze and Lischinski, Dani and Shechtman, Eli},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year = {2021}
}"""
BY_NAME = {
    "interfacegan": INTERFACEGAN,
    "ganspace": GANSPACE,
    "sefa": SEFA,
    "stylespace": STYLESPACE,
}
"""Editors that were published; the others are textbook methods."""

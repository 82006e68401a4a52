"""latentedit: edit images in a generator's latent space, and see which method keeps the person.

The public names stand in ``__init__.pyi``, grouped by use. Each is imported when it is first used,
so that importing the package itself stays light.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Files of artefacts: written whole, and read strictly."""

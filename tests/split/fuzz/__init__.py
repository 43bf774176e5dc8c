"""Random calculations, split and executed in halves, compared with the whole."""

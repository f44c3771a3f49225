"""All that knows ComfyUI's samplers and models: recording, regularising, keeping the outside.

Everything is a wrapper on a clone of the model. At every evaluation the wrappers add their hooks to that evaluation's
own copy of model_options, so nothing outlives it, whatever other packs have patched is called underneath, and the order
of patch nodes in a graph does not matter.
"""

KEY = "lime"  # of the recorder's and the regulariser's wrappers on a model

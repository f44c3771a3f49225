"""The pack's Subgraph Blueprints and templates, from one description: `python -m demo.graphs` writes them."""

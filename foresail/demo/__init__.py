"""What `foresail demo` is made of: a tiny real model, a real engine, a recorded load and its cost.

`tiny_model` writes a model file, `llama_server` serves it with llama.cpp, `trace` plans a replay of
recorded traffic that fits what a token costs on this machine, `load` sends it, `run` puts it all
together. Nothing here decides anything: the controller that runs in the demo is the one that runs
everywhere.
"""

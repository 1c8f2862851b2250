"""The composition root: the only place that names concrete adapters. It reads no judgement into them.

One module per thing that is put together: the gateway process, the controller process, engines that a
command starts or ends by itself, the node agent. Import the module; this file imports nothing, so
that one process does not load the parts of another.
"""

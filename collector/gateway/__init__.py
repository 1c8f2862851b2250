"""The one OpenAI-compatible endpoint of a desk: routes, holds, sheds, and measures what engines cannot.

A process of its own, so that streams survive the controller. HTTP requests come in, the same bytes
go to a replica and back; out of it come the `foresail_*` series of the services and a wake-up for
the controller when a request is held. It obeys the routing table it was last given and decides
nothing about replicas.
"""

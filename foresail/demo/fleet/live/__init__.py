"""`foresail demo --fleet --live`: the fleet over HTTP, with emulated engines, a real gateway and controller."""

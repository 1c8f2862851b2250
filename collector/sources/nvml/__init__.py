"""`DeviceProbe` over NVIDIA's management library; the only package that imports pynvml.

`probe` keeps the library open and looks, `device` asks one GPU everything, `answers` turns each answer
or error into a reading. Reads only: nothing in here changes a setting of a GPU.
"""

from collector.sources.nvml.probe import READ_TIMEOUT_SECONDS, NvmlDeviceProbe

__all__ = ["READ_TIMEOUT_SECONDS", "NvmlDeviceProbe"]

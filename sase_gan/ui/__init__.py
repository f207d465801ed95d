"""The studio: a browser app on this machine. The only package that imports gradio, and it imports nothing of Lightning.

`tabs` has a file a tab: its handlers, plain functions of their arguments, and its layout, which connects them by
`events`. `studio` joins the tabs and `serve` starts the server. What a visitor chose lives in the visitor's session,
never in the process.
"""

import os

# Read by gradio and huggingface_hub when they are imported: nothing leaves the machine.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

"""The page for people in front of the machine, and HTTP itself, which serves the metrics as well.

Here: the server (`server`) and who answers through it (`page_routes`, `metrics_routes`); who may read and who may
command (`auth`); where the threads of requests meet the pipeline's thread (`exchange`); what is shown, as frozen nouns
(`view`), as documents (`documents`), and the scores of the last day (`history`). The page itself lies in static/.

Not here: when a view is made and what of the agent it shows (`service.page`), what a command does (`alarms`).

Rules:
- The pipeline's thread never waits for a request, and no request touches the pipeline: they meet in `exchange`.
- Every connection is bounded in number, time and size; whoever dawdles gives way to the next.
- A page of another site can neither read nor command; without a token nobody commands.
- Names that came from outside are data: JSON carries them, and the script puts them into text nodes only.
"""

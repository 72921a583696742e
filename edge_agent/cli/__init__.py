"""The command line `edge-agent`: one file a command, or one folder where a command needs several.

Lives here: what a person types and reads. Options, exit codes, tables on the terminal, and the programs that only the
command line has: the doctor's checks, the survey of a broker, the comparison of two replays, the demonstration.
Does not live here: the running agent (`service`), the replay itself (`recordings`), what a configuration may say
(`config`).

Rules:
- A new command is one new file and one line in the table of `app`.
- A command's file imports at its top what its options need and no more: `--help` and completion load all of them, and
  must not wait for onnxruntime, pydantic or rich. What a command works with is imported where it begins to work.
- `--json` prints JSON for programs, and nothing else; what people read may change, that may not.
- An expected error is an `EdgeAgentError`: `app` prints it and ends with its exit code.
"""

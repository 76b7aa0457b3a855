"""The workflow engine of the embedded sidecar: durable histories, run by workers that connect.

Whatever is in here is imported late: its messages take 0.2 s, which no start waits for.

The words, each in the module that has it:

- hub: the workflows of all apps of a run (`hub`); what clients do with those of one is in
  `management`.
- instance: one workflow in memory (`instance`). What its history comes to is its execution
  (`execution`); when it continues as new, it has another one, of the next generation.
- inbox: events that arrived for an instance. A turn hands them to a worker; all that follows from
  the answer is a step (`turn`), which is kept as a whole before it takes effect (`steps`).
- host: the workers of one app, and the items that they are given, turns and activities (`host`,
  `items`).
- changes: what is to be kept, together or not at all; a row is an instance as it is kept (`store`).
- place: where an app has its workflows: the engine's tables, or a state store, which is a home then
  (`placing`, `homes`, `component_home`). What is there of one instance is a stored instance
  (`stored_instance`). A lane orders what is written to a place (`lanes`).
- frame: events one after the other, as they are kept and as workers get them (`framing`).
- alarm: when an instance has something to do (`alarms`).
"""

"""kedge: from nightly deliveries of personal data to a monitored model, retrained when the world drifts.

The domain library. It knows no orchestrator and works from a notebook:
`kedge.spec` reads a declaration, `kedge.workspace.Workspace` opens the stored data, and each stage
(`source`, `quality`, `privacy`, `training`, `evaluation`, `scoring`, `drift`) offers one function that
takes a workspace, a declaration and a partition and answers with an `Outcome`.
"""

__version__ = "0.1.0"

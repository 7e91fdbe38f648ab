"""The app object: it registers workflows and activities, and makes workers and clients for them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Callable
from typing import TypeVar
from typing import overload

from . import surroundings
from .client import Client
from .definitions import TIMEOUT
from .definitions import ActivityDefinition
from .definitions import Definition
from .definitions import P
from .definitions import R
from .definitions import WorkflowDefinition
from .durations import Duration
from .lifespan import L
from .lifespan import Lifespan
from .lifespan import manager
from .retry import Retry
from .transport import Token
from .transport import present
from .worker import Worker
from .worker import WorkerOptions

if TYPE_CHECKING:
    from typing import Concatenate
    from typing import Unpack

    from .context import Context

D = TypeVar("D", bound=Definition[Any])


class Assay:
    """Workflows and activities of one program, and the service they run on.

    What is not given comes from the environment: ASSAY_ENGINE_URL, ASSAY_API_KEY_FILE or ASSAY_API_KEY,
    ASSAY_NAMESPACE, ASSAY_QUEUE. A key file is read again when it changes; `token` may also be a function that gives
    the key that is good now. Raises ValueError for a key file that cannot be read.
    """

    def __init__(
        self,
        url: str | None = None,
        token: Token = None,
        namespace: str | None = None,
        queue: str | None = None,
    ) -> None:
        self.url = url or surroundings.url()
        self._token = token or surroundings.token()
        self.namespace = namespace or surroundings.namespace()
        self.queue = queue or surroundings.queue()
        self.workflows: dict[str, WorkflowDefinition[..., Any]] = {}
        self.activities: dict[str, ActivityDefinition[..., Any]] = {}
        self.lifespans: list[Lifespan] = []
        self._client: Client | None = None

    @overload
    def workflow(self, fn: Callable[Concatenate[Context, P], R]) -> WorkflowDefinition[P, R]: ...

    @overload
    def workflow(
        self,
        *,
        name: str | None = None,
        queue: str | None = None,
        run_timeout: Duration | None = None,
        execution_timeout: Duration | None = None,
    ) -> Callable[[Callable[Concatenate[Context, P], R]], WorkflowDefinition[P, R]]: ...

    def workflow(
        self,
        fn: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        queue: str | None = None,
        run_timeout: Duration | None = None,
        execution_timeout: Duration | None = None,
    ) -> Any:
        """Register a workflow: `fn(ctx, ...)`. Runs are started on `queue`, by default the app's.

        `run_timeout` limits each of its runs, `execution_timeout` a run with all that continue it; a start may
        say otherwise. Both are seconds or a timedelta.
        """

        def register(function: Callable[..., Any]) -> WorkflowDefinition[..., Any]:
            made: WorkflowDefinition[..., Any] = WorkflowDefinition(
                function, name, queue, run_timeout, execution_timeout
            )
            return self._register(self.workflows, made)

        return register if fn is None else register(fn)

    @overload
    def activity(self, fn: Callable[P, R]) -> ActivityDefinition[P, R]: ...

    @overload
    def activity(
        self,
        *,
        name: str | None = None,
        queue: str | None = None,
        retry: Retry | None = None,
        timeout: Duration | None = TIMEOUT,
        heartbeat_timeout: Duration | None = None,
        schedule_to_start: Duration | None = None,
        schedule_to_close: Duration | None = None,
        auto_heartbeat: bool = False,
    ) -> Callable[[Callable[P, R]], ActivityDefinition[P, R]]: ...

    def activity(
        self,
        fn: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        queue: str | None = None,
        retry: Retry | None = None,
        timeout: Duration | None = TIMEOUT,
        heartbeat_timeout: Duration | None = None,
        schedule_to_start: Duration | None = None,
        schedule_to_close: Duration | None = None,
        auto_heartbeat: bool = False,
    ) -> Any:
        """Register an activity: a function that may do anything, and may run more than once.

        In seconds or as timedelta, `timeout` limits one attempt, `heartbeat_timeout` the silence between two
        heartbeats, `schedule_to_start` the time that an attempt waits for a worker, `schedule_to_close` all
        attempts together.
        With `auto_heartbeat` the worker beats while the function runs, three times in each `heartbeat_timeout`, which
        is then 30 s by default: a lost worker is noticed, and `cancelled()` comes to say so when nobody waits any
        more, without a call of `heartbeat()`. A function that hangs is beaten for, too: `timeout` ends it.
        An activity with a `queue` is done by workers of that queue, else by those of the run's.
        """

        def register(function: Callable[..., Any]) -> ActivityDefinition[..., Any]:
            made: ActivityDefinition[..., Any] = ActivityDefinition(
                function,
                name,
                queue,
                retry,
                timeout,
                heartbeat_timeout,
                schedule_to_start,
                schedule_to_close,
                auto_heartbeat,
            )
            return self._register(self.activities, made)

        return register if fn is None else register(fn)

    def lifespan(self, fn: L) -> L:
        """Register what each worker of this app is to have around its work, such as a pool of connections.

        `fn` takes no arguments and yields once, or returns a context manager. It is entered before the worker's
        first task and left after the last one that finishes in time; of several, the last is left first. When
        entering fails, the worker does not start.
        """
        manager(fn)
        if fn not in self.lifespans:
            self.lifespans.append(fn)
        return fn

    @staticmethod
    def _register(registry: dict[str, D], definition: D) -> D:
        if definition.name in registry:
            held = registry[definition.name]
            raise ValueError(
                f"'{definition.name}' is registered already, as {held.__module__}.{held.__qualname__}; "
                "give one of the two another name="
            )
        registry[definition.name] = definition
        return definition

    @property
    def token(self) -> str | None:
        """The key that is good now."""
        return present(self._token)

    @property
    def client(self) -> Client:
        """A client of the app's service and namespace, with the app's queue for what it starts."""
        if self._client is None:
            self._client = Client(self.url, self._token, self.namespace, queue=self.queue)
        return self._client

    def include(self, other: Assay) -> None:
        """Register all that another app has, here too. Raises ValueError for a name that both have.

        Where the other app works does not matter: what has no queue of its own uses this app's.
        """
        doubles = [name for name, one in other.workflows.items() if self.workflows.get(name, one) is not one]
        doubles += [name for name, one in other.activities.items() if self.activities.get(name, one) is not one]
        if doubles:
            raise ValueError(f"registered in both apps: {', '.join(sorted(doubles))}; give one of each another name=")
        self.workflows.update(other.workflows)
        self.activities.update(other.activities)
        self.lifespans += [one for one in other.lifespans if one not in self.lifespans]

    def worker(self, **options: Unpack[WorkerOptions]) -> Worker:
        """Make a worker for this app; the WorkerOptions that are given take the place of the app's settings.

        `with app.worker():` works inside an existing program, for as long as the block lasts.
        """
        settings: dict[str, Any] = {
            "url": self.url,
            "token": self._token,
            "namespace": self.namespace,
            "queue": self.queue,
        }
        settings.update({name: value for name, value in options.items() if value is not None})
        return Worker(self.workflows, self.activities, lifespans=self.lifespans, **settings)

    def run(self, **options: Unpack[WorkerOptions]) -> int:
        """Work until SIGTERM or SIGINT; return the exit code. The options are those of `worker`."""
        return self.worker(**options).run()

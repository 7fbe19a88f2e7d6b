"""Puts routers over use cases into one HTTP app; needs neither broker nor database to be built.

Invariant: everything the app reaches comes in through `ApiParts`, so that tests and the OpenAPI
document use the very app that serves.
"""

from typing import Final

from fastapi import APIRouter, FastAPI

from services.api.dependencies import BearerKey, BodyReader
from services.api.parts import ApiParts
from services.api.routes import (
    admin_alerts,
    admin_budgets,
    admin_keys,
    admin_providers,
    admin_queues,
    admin_reconciliation,
    admin_reports,
    admin_rollouts,
    admin_scopes,
    collections,
    completions,
    documents,
    job_events,
    job_submissions,
    jobs,
    probes,
)
from services.api.routes.documentation import DocumentedApp
from services.api.routes.problems import add_problem_handlers
from services.api.schemas.problems import Problem
from services.api.use_cases.admin_alerts import AdminAlerts
from services.api.use_cases.admin_audit import AdminAudit
from services.api.use_cases.admin_budgets import AdminBudgets
from services.api.use_cases.admin_keys import AdminKeys
from services.api.use_cases.admin_providers import AdminProviders
from services.api.use_cases.admin_queues import AdminQueues
from services.api.use_cases.admin_reports import AdminReports
from services.api.use_cases.admin_rollouts import AdminRollouts, CompareArms
from services.api.use_cases.admin_scopes import AdminScopes
from services.api.use_cases.authenticate import ADMIN_SCOPE, JOBS_SCOPE, Authenticate
from services.api.use_cases.collections import Collections
from services.api.use_cases.completions import Completions, OfferedModels
from services.api.use_cases.embed_jobs import EmbedJobs
from services.api.use_cases.following import FollowJob, Sources
from services.api.use_cases.gates import Gates
from services.api.use_cases.ingest_documents import IngestDocuments, SliceCutter
from services.api.use_cases.invoicing import Invoicing
from services.api.use_cases.period_reports import PeriodReports
from services.api.use_cases.read_jobs import CancelJob, ReadJobs
from services.api.use_cases.reconciling import Reconciling
from services.api.use_cases.results import Results
from services.api.use_cases.scopes import ReadScope
from services.api.use_cases.search import QueryVectors, Search
from services.api.use_cases.submit_chat import SubmitChat
from services.api.use_cases.submit_embeddings import SubmitEmbeddings
from services.api.use_cases.submitting import Acceptance
from shared.domain.routing import decided_by_rollout, providers_of

_TITLE: Final = "Sluiceway"
_VERSION: Final = "1"
_PROBLEMS: Final[dict[int | str, dict[str, object]]] = {
    "4XX": {"model": Problem, "description": "The request is refused."},
    "5XX": {"model": Problem, "description": "Something does not answer; try again."},
}


def create_app(parts: ApiParts) -> FastAPI:
    """Return the HTTP app."""
    app = DocumentedApp(
        title=_TITLE,
        version=_VERSION,
        responses=_PROBLEMS,
        docs_url="/docs",
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    authenticate = Authenticate(
        parts.stores.keys, parts.clock, admin_key=parts.admin_key, age=parts.limits.key_age
    )
    bodies = BodyReader(parts.limits.body_bytes)
    jobs_key = BearerKey(authenticate, JOBS_SCOPE)
    for router in _job_routers(parts, jobs_key, bodies):
        app.include_router(router)
    for router in _admin_routers(parts, BearerKey(authenticate, ADMIN_SCOPE), bodies):
        app.include_router(router)
    app.include_router(probes.create_router(checks=parts.checks, metrics=parts.metrics))
    add_problem_handlers(app)
    return app


def _job_routers(parts: ApiParts, key: BearerKey, bodies: BodyReader) -> list[APIRouter]:
    stores = parts.stores
    gates = Gates(stores.gates, parts.clock, parts.limits.gate_age, stores.scope_gates)
    acceptance = Acceptance(
        parts.stores.jobs,
        gates,
        parts.broker.watches,
        parts.broker.flush,
        parts.routing,
        parts.prices,
        parts.clock,
        lambda queue: parts.metrics.count("sluiceway_jobs_accepted_total", queue),
    )
    embed_jobs = EmbedJobs(parts.ids, parts.clock)
    results = Results(parts.stores.embeddings)
    read_jobs = ReadJobs(parts.stores.jobs, gates, results)
    follow_job = FollowJob(
        Sources(parts.stores.jobs, gates, results),
        parts.broker.watches,
        lambda reason: parts.metrics.count("sluiceway_watch_resyncs_total", reason),
    )
    submit_chat = SubmitChat(acceptance, parts.ids)
    submit_embeddings = SubmitEmbeddings(acceptance, embed_jobs)
    cancel_job = CancelJob(parts.stores.jobs, read_jobs, parts.broker.flush)
    return [
        job_submissions.create_router(
            submit_chat=submit_chat, submit_embeddings=submit_embeddings, key=key, bodies=bodies
        ),
        jobs.create_router(read_jobs=read_jobs, cancel_job=cancel_job, key=key),
        completions.create_router(
            completions=Completions(
                submit_chat, submit_embeddings, follow_job, cancel_job, stores.embeddings
            ),
            models=OfferedModels(parts.routing),
            key=key,
            bodies=bodies,
        ),
        job_events.create_router(follow_job=follow_job, key=key),
        *_collection_routers(parts, acceptance, follow_job, key, bodies),
    ]


def _collection_routers(
    parts: ApiParts,
    acceptance: Acceptance,
    follow_job: FollowJob,
    key: BearerKey,
    bodies: BodyReader,
) -> list[APIRouter]:
    by_name = Collections(parts.stores.collections, parts.routing, parts.ids, parts.clock)
    embed_jobs = EmbedJobs(parts.ids, parts.clock)
    ingest = IngestDocuments(
        by_name,
        parts.stores.collections,
        acceptance,
        SliceCutter(embed_jobs, parts.ids, parts.clock),
    )
    query_vectors = QueryVectors(
        acceptance, embed_jobs, follow_job, parts.stores.embeddings, parts.limits.search_patience
    )
    search = Search(by_name, query_vectors, parts.stores.vectors)
    return [
        collections.create_router(collections=by_name, key=key, bodies=bodies),
        documents.create_ingestion_router(
            collections=by_name, ingest=ingest, key=key, bodies=bodies
        ),
        documents.create_search_router(search=search, key=key, bodies=bodies),
    ]


def _admin_routers(parts: ApiParts, key: BearerKey, bodies: BodyReader) -> list[APIRouter]:
    keys = AdminKeys(parts.stores.keys, parts.ids, parts.clock, parts.random_text)
    queues = AdminQueues(
        parts.stores.gate_administration, parts.broker.depths, parts.broker.hint, parts.clock
    )
    read_scope = ReadScope(providers_of(parts.routing))
    budgets = AdminBudgets(parts.stores.budgets, parts.broker.hint, read_scope)
    scopes = AdminScopes(parts.stores.scope_gates, parts.clock, read_scope)
    audit = AdminAudit(parts.stores.audit)
    compare_arms = CompareArms(parts.stores.reports, decided_by_rollout(parts.routing), parts.clock)
    rollouts = AdminRollouts(parts.stores.rollouts, parts.broker.hint, compare_arms)
    alerts = AdminAlerts(parts.stores.alerts, parts.ids, parts.limits.alert_patience)
    return [
        admin_keys.create_router(keys=keys, key=key, bodies=bodies),
        admin_queues.create_router(queues=queues, key=key, bodies=bodies),
        admin_budgets.create_router(budgets=budgets, key=key, bodies=bodies),
        admin_scopes.create_router(scopes=scopes, audit=audit, key=key, bodies=bodies),
        admin_alerts.create_router(alerts=alerts, key=key),
        admin_rollouts.create_router(rollouts=rollouts, key=key, bodies=bodies),
        admin_providers.create_router(providers=_admin_providers(parts), key=key),
        admin_reports.create_router(
            reports=AdminReports(parts.stores.reports),
            period_reports=PeriodReports(parts.stores.reports, parts.clock),
            key=key,
        ),
        admin_reconciliation.create_router(
            reconciling=Reconciling(parts.stores.reconciliation, parts.clock),
            invoicing=Invoicing(parts.stores.invoices, parts.broker.hint, parts.ids, parts.clock),
            key=key,
            bodies=bodies,
        ),
    ]


def _admin_providers(parts: ApiParts) -> AdminProviders:
    stores = parts.stores
    return AdminProviders(
        stores.models, stores.circuits, parts.broker.hint, parts.routing, parts.clock
    )

"""Turns what the stores return into the bodies of answers. Pure."""

from typing import Any

import orjson

from common.ports import AttemptView, BatchView, JobView
from common.search_port import SearchHit
from ingestion.money import usd_from_nanos
from ingestion.submit import BATCHES, JOBS, job_links

Body = dict[str, Any]


def job_summary(job: JobView) -> Body:
    """Return a job without its output."""
    failure = None
    if job.failure_code is not None:
        failure = {"code": job.failure_code, "detail": job.failure_detail}
    return {
        "id": str(job.job_id),
        "state": job.state,
        "recipe": job.recipe,
        "lane": job.lane.value,
        "revision": job.revision,
        "batch_id": None if job.batch_id is None else str(job.batch_id),
        "tags": list(job.tags),
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        "deadline": job.deadline,
        "budget_usd": None if job.budget_nanos is None else usd_from_nanos(job.budget_nanos),
        "attempts": job.attempts,
        "cost_usd": usd_from_nanos(job.cost_nanos),
        "usage": {"input_tokens": job.input_tokens, "output_tokens": job.output_tokens},
        "hold_reason": job.hold_reason,
        "failure": failure,
        "retry_of": None if job.retry_of is None else str(job.retry_of),
        "links": job_links(f"{JOBS}/{job.job_id}"),
    }


def job_detail(job: JobView) -> Body:
    """Return a job with its output, whose bytes go through as they are stored."""
    return {
        **job_summary(job),
        "output": None if job.output is None else orjson.Fragment(job.output),
        "lineage": job.lineage,
    }


def job_etag(job: JobView) -> str:
    """Return a tag that changes with the representation: attempts may be made within one revision."""
    return f'"{job.revision}-{job.state}-{job.attempts}-{job.cost_nanos}-{job.output_tokens}"'


def matches(if_none_match: str, etag: str) -> bool:
    """Return whether the caller has this representation (weak comparison, RFC 9110)."""
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or etag in tags


def batch(view: BatchView) -> Body:
    """Return a batch."""
    return {
        "id": str(view.batch_id),
        "total": view.total,
        "states": dict(view.states),
        "cost_usd": usd_from_nanos(view.cost_nanos),
        "created_at": view.created_at,
        "links": {"self": f"{BATCHES}/{view.batch_id}"},
    }


def attempt(view: AttemptView) -> Body:
    """Return one row of the ledger."""
    return {
        "step": view.step,
        "item": view.item,
        "attempt": view.attempt,
        "state": view.state,
        "verdict": view.verdict,
        "deployment": view.deployment,
        "model": view.model,
        "model_served": view.model_served,
        "prompt_hash": view.prompt_hash,
        "reserved_usd": usd_from_nanos(view.reserved_nanos),
        "cost_usd": None if view.cost_nanos is None else usd_from_nanos(view.cost_nanos),
        "price_version": view.price_version,
        "input_tokens": view.input_tokens,
        "cached_tokens": view.cached_tokens,
        "output_tokens": view.output_tokens,
        "latency_ms": view.latency_ms,
        "finish_reason": view.finish_reason,
        "error_code": view.error_code,
        "request_id": view.request_id,
        "violations": list(view.violations),
        "extraction": view.extraction,
        "started_at": view.started_at,
        "ended_at": view.ended_at,
    }


def hit(found: SearchHit) -> Body:
    """Return one search result."""
    return {
        "job_id": str(found.job_id),
        "recipe": found.recipe,
        "score": found.score,
        "output": found.output,
        "highlights": list(found.highlights),
        "finished_at": found.finished_at,
        "links": job_links(f"{JOBS}/{found.job_id}"),
    }

"""What a settlement takes from the day's allowance, as parts of the settle statement.

A day has one counter, moved by the same statement that closes the attempts: its row lock makes the
batches queue, so that each neuron of the allowance is given once, whoever settles beside it. A
batch covers the stretch of the counter between `used` before it and after it; each attempt pays
for what of its own stretch lies beyond the allowance. Once the day's allowance is used up the
counter is only read, and a settlement without an allowance does not look at it at all.
The day is that of the attempt's start, in UTC.
"""

from collections.abc import Mapping, Sequence

from shared.domain.work import Settlement
from shared.persistence.json_batch import JsonBatch

_COVERED = JsonBatch(
    "covered",
    c_attempt_id="text",
    allowance="text",
    allowed_units="numeric",
    allowed_unit_usd="numeric",
)

_PRICED = """
    consumed AS MATERIALIZED (
        SELECT n.attempt_id, n.neurons AS units, n.position, v.allowance, v.allowed_units,
            v.allowed_unit_usd, CAST(a.started_at AT TIME ZONE 'UTC' AS date) AS day
        FROM given n JOIN {covered} ON v.c_attempt_id = n.attempt_id
        JOIN ours ON ours.id = n.job_id JOIN attempts a ON a.id = n.attempt_id
        WHERE a.outcome = 'running' AND a.worker = :worker AND n.neurons > 0
        FOR UPDATE OF a
    ),
    counted AS (
        INSERT INTO allowance_days AS d (allowance, day, used)
        SELECT c.allowance, c.day, sum(c.units) FROM consumed c
        WHERE NOT EXISTS (
            SELECT FROM allowance_days u
            WHERE u.allowance = c.allowance AND u.day = c.day AND u.used >= c.allowed_units
        )
        GROUP BY c.allowance, c.day ORDER BY c.allowance, c.day
        ON CONFLICT (allowance, day) DO UPDATE SET used = d.used + excluded.used
        RETURNING allowance, day, used
    ),
    stretch AS (
        SELECT c.attempt_id, c.allowed_units, c.allowed_unit_usd, c.units,
            d.used - sum(c.units) OVER (PARTITION BY c.allowance, c.day)
                + sum(c.units) OVER (PARTITION BY c.allowance, c.day ORDER BY c.position) AS upto
        FROM consumed c JOIN counted d USING (allowance, day)
    ),
    covered AS MATERIALIZED (
        SELECT attempt_id, (least(upto, allowed_units) - least(upto - units, allowed_units))
            * allowed_unit_usd AS usd
        FROM stretch
    ),
    new AS MATERIALIZED (
        SELECT {kept}, g.position, g.cost_usd - coalesce(v.usd, 0) AS cost_usd,
            CASE WHEN v.usd > 0 AND jsonb_exists(g.frame, 'cost_usd')
                THEN jsonb_set(g.frame, '{{cost_usd}}', {frame_cost})
                ELSE g.frame END AS frame,
            coalesce(v.usd, 0) AS covered_usd
        FROM given g LEFT JOIN covered v USING (attempt_id)
        LEFT JOIN ours ON ours.id = g.job_id
    ),
    message AS MATERIALIZED (
        SELECT m.m_attempt_id, m.m_message_id, m.m_exchange, m.m_routing_key, m.m_mandatory,
            m.m_available_at, m.position, rewritten.body IS NOT NULL AS is_rewritten,
            coalesce(rewritten.body, m.m_body) AS m_body
        FROM said m LEFT JOIN new n ON n.attempt_id = m.m_attempt_id AND n.covered_usd > 0
        LEFT JOIN LATERAL (
            SELECT CAST(convert_from(m.m_body, 'UTF8') AS jsonb) AS content WHERE n.covered_usd > 0
        ) AS decoded ON true
        LEFT JOIN LATERAL (
            SELECT convert_to(CAST(content || jsonb_build_object(
                'list_cost_usd', content -> 'cost_usd', 'cost_usd', {attempt_cost}
            ) AS text), 'UTF8') AS body
            WHERE jsonb_exists(content, 'attempt_id')
        ) AS rewritten ON true
    ),"""
"""The usage event, which is the message about an attempt, says what was paid; commands are left."""


def new_with_allowance(given: JsonBatch) -> str:
    """Return the SQL that makes `new`, with what is paid, of the settlements `given`.

    It makes `message` of what is `said` about them in the same way.
    """
    kept = ", ".join(f"g.{name}" for name in given.columns if name not in {"cost_usd", "frame"})
    return _PRICED.format(
        kept=kept,
        covered=_COVERED.table("v"),
        frame_cost=_amount("ours.cost_usd + g.cost_usd - v.usd"),
        attempt_cost=_amount("n.cost_usd"),
    )


def is_any_covered(settlements: Sequence[Settlement]) -> bool:
    """Tell whether any of the calls may be free in part."""
    return any(settlement.result.allowance is not None for settlement in settlements)


def allowance_parameters(settlements: Sequence[Settlement]) -> Mapping[str, str]:
    """Return the parameters of the parts above."""
    return _COVERED.parameters(
        [
            (s.attempt_id, allowance.name, allowance.units, allowance.unit_usd)
            for s in settlements
            if (allowance := s.result.allowance) is not None
        ]
    )


def _amount(sql: str) -> str:
    """Return the SQL of an amount in its wire form: a string of plain digits."""
    return f"to_jsonb(CAST(trim_scale({sql}) AS text))"

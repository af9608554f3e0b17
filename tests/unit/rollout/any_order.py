"""What people may order, for properties that hold whatever they do."""

from hypothesis import strategies as st

from canary.rollout.orders import ORDER_ANNOTATION, PAUSE_ANNOTATION
from canary.rollout.simulation import Annotate

GO_ON = Annotate(PAUSE_ANNOTATION, "")
"""Nothing is paused any more."""

orders = st.one_of(
    st.sampled_from([Annotate(PAUSE_ANNOTATION, "by mia"), GO_ON]),
    st.builds(
        lambda verb, number: Annotate(ORDER_ANNOTATION, f"{verb} at={number}"),
        st.sampled_from(["promote", "abort", "restart", "resume"]),
        st.integers(0, 3),
    ),
)

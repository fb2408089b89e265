"""All tables of messaging, for Django, which looks for an app's models here. Each room has its own;
the bases of read models are abstract."""

import messaging.bus.models
import messaging.eventstore.models
import messaging.monitoring.models
import messaging.projections.models
import messaging.projections.serving.models
import messaging.workers.models  # noqa: F401

"""What a merchant sees first."""

from django.http import JsonResponse


def mine(request):
    """My stores, each with how many conversations its customers have open."""
    stores = request.user.stores.select_related("business")
    return JsonResponse(
        {
            store.name: store.business.conversations.exclude(state="resolved").count() if store.business else 0
            for store in stores
        }
    )

//! What people write to shops on WhatsApp, in English and Arabic.

/// A shop and what its customers write, the most frequent first.
pub struct Shop {
    /// The tenant's id.
    pub tenant: &'static str,
    /// The system prompt of its assistant.
    pub prompt: &'static str,
    /// Its vector store.
    pub store: &'static str,
    /// Messages; `{n}` becomes an order number, so that such a message hardly ever comes twice.
    pub messages: &'static [&'static str],
    /// What everybody asks at once after an advertisement.
    pub campaign: &'static str,
}

/// The shops, the busiest first.
pub const SHOPS: [Shop; 4] = [
    Shop {
        tenant: "nour-fashion",
        prompt: "You answer WhatsApp messages for Nour Fashion, a clothing shop in Baghdad. Be brief and \
                 kind, answer in the customer's language, and never invent prices.",
        store: "vs_nour",
        messages: &[
            "السلام عليكم",
            "مرحبا",
            "شكد سعر الفستان الأسود؟",
            "وين مكانكم؟",
            "عندكم توصيل للبصرة؟",
            "شوكت يوصل طلبي رقم {n}؟",
            "ممكن صورة للقياسات؟",
            "اكو قياس XL؟",
            "شكرا جزيلا",
            "أريد أرجع طلب رقم {n}",
            "شكد أجور التوصيل؟",
            "الدفع عند الاستلام موجود؟",
            "اكو خصم على الجملة؟",
            "شنو أوقات الدوام؟",
            "طلبي رقم {n} وصل ناقص",
            "القماش قطن لو بوليستر؟",
        ],
        campaign: "شكد سعر عرض اليوم؟",
    },
    Shop {
        tenant: "mansour-phones",
        prompt: "You answer for Mansour Phones. Give the price only if it is in the documents. One or two \
                 sentences, in the customer's language.",
        store: "vs_mansour",
        messages: &[
            "hi",
            "السلام عليكم",
            "price of iphone 15?",
            "do you have samsung a55",
            "سعر ايفون 15 برو ماكس؟",
            "is it original with warranty?",
            "where is your shop",
            "can i pay in installments?",
            "what time do you open",
            "تقسيط موجود؟",
            "my order {n} is late",
            "do you fix screens? how much for a12",
            "thanks",
            "trade in my old phone {n}?",
        ],
        campaign: "is the iphone offer still available?",
    },
    Shop {
        tenant: "karrada-pharmacy",
        prompt: "You answer for Karrada Pharmacy. Say what is in stock; never give medical advice, send \
                 people to the pharmacist for that.",
        store: "vs_karrada",
        messages: &[
            "السلام عليكم",
            "عندكم بنادول؟",
            "مفتوحين هسه؟",
            "سعر فيتامين سي؟",
            "is insulin available",
            "توصلون للجادرية؟",
            "وصفة رقم {n} جاهزة؟",
            "شكرا",
            "do you have baby formula stage 2",
            "عندكم جهاز ضغط؟",
        ],
        campaign: "لقاح الانفلونزا موجود؟",
    },
    Shop {
        tenant: "new-bookshop",
        prompt: "You answer for a bookshop that has just opened.",
        store: "vs_bookshop_empty",
        messages: &["hello", "do you have {n} books?", "opening hours?", "كتب أطفال موجودة؟", "thank you"],
        campaign: "when is the opening?",
    },
];

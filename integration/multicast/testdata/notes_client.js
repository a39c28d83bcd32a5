// The notes' client as the notes have it. multicast/client/main.js is what works.
//
//	node integration/multicast/testdata/notes_client.js
let dgram = require('dgram')
let client = dgram.createSocket('udp4')
client.on('listening', function() {
    client.addMembership('230.185.192.108')
})
client.on('message', function(message, remote) {
    console.log(message.toString())
})
client.bind(8080, '192.168.1.103')
